package app

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"seimon/internal/audit"
	"seimon/internal/diagnosis"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/jobs"
	"seimon/internal/store"
)

// openFeeds opens the federations' metadata, and lets the book find services there.
func (h *House) openFeeds() {
	h.Feeds = feed.New(feed.Config{
		DB: h.DB, Rules: h.Parties.Rules, Attribute: saml.AttributeNamed, Client: h.options.Client,
		Self: func() string { return h.samlFront().EntityID() },
		Open: func(name string) (io.ReadCloser, error) { return os.Open(name) },
		Note: func(tx *store.Tx, event, id string, facts map[string]string) error {
			facts["feed"] = id
			return h.Audit.Append(tx, audit.Event{Type: event, Actor: "feed", Facts: facts})
		},
	})
	h.Parties.Also(h.Feeds)
}

// taskFeed is the work of looking at one feed.
const taskFeed = "feed.refresh"

// followFeeds looks at feeds when they are due.
func (h *House) followFeeds() {
	h.Jobs.Every("feed.due", time.Minute, func(ctx context.Context) error {
		return h.DB.Write(ctx, func(tx *store.Tx) error {
			due, err := h.Feeds.Due(tx)
			if err != nil {
				return err
			}
			for _, id := range due {
				payload, err := json.Marshal(id)
				if err != nil {
					return err
				}
				if err := h.Jobs.Submit(tx, jobs.NewTask{Kind: taskFeed, Key: id, Payload: payload}); err != nil {
					return err
				}
			}
			return nil
		})
	})
	h.Jobs.Handle(taskFeed, func(ctx context.Context, t jobs.Task) error {
		var id string
		if err := json.Unmarshal(t.Payload, &id); err != nil {
			return jobs.Permanent(err)
		}
		_, err := h.Feeds.Refresh(ctx, id, feed.Options{Progress: t.Progress})
		if err != nil && ctx.Err() == nil {
			h.Log.Warn("a metadata feed could not be renewed", "feed", id, "error", err)
			return nil // the feed itself says when to look again
		}
		return err
	})
	h.Jobs.Every("feed.sweep", time.Hour, h.Feeds.Sweep)
}

// checkFeeds warns before a federation's metadata dies.
func (h *House) checkFeeds(ctx context.Context) ([]diagnosis.Finding, error) {
	var alarms []feed.Alarm
	err := h.DB.Read(ctx, func(tx *store.Tx) (err error) {
		alarms, err = h.Feeds.Alarms(tx)
		return err
	})
	var out []diagnosis.Finding
	for _, a := range alarms {
		severity := diagnosis.Warn
		if a.Code == feed.AlarmExpired {
			severity = diagnosis.Broken
		}
		reason := a.Fault
		if reason == "" {
			reason = "-"
		}
		out = append(out, found("feed."+a.Code, severity, "feed", a.Feed, "days", strconv.Itoa(a.Days), "until", a.Until.Format(time.RFC3339), "reason", reason)...)
	}
	return out, err
}

// feedLeft is the figure behind seimon_feed_left_seconds.
func (h *House) feedLeft(tx *store.Tx) (float64, error) {
	left, ok, err := h.Feeds.Left(tx)
	if !ok {
		return math.Inf(1), err
	}
	return left.Seconds(), err
}

// Feeds is what the commands about metadata feeds work with.
func (d *Desk) Feeds() (*feed.Keeper, error) {
	h, err := d.House()
	if err != nil {
		return nil, err
	}
	return h.Feeds, nil
}

// Watch shows how far long work is, on terminals only.
func (d *Desk) Watch(what string) func(done, total int64) { return d.progress(what) }
