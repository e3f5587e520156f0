package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"seimon/internal/ca"
	"seimon/internal/ca/status"
	"seimon/internal/diagnosis"
	"seimon/internal/store"
)

// publisher opens the room that publishes lists and answers, and hangs it on what
// happens to certificates.
func (h *House) publisher() {
	h.Status = status.New(h.DB, h.CA, status.Config{
		Seal: h.Ring, Log: h.Log, Rate: h.Config.Certificates.StatusRate, Unlimited: h.Config.statusUnlimited(),
	})
	h.OnIssue = append(h.OnIssue, h.Status.Changed) // a hold that ends comes this way
	h.OnRevoke = append(h.OnRevoke, h.Status.Changed)
}

// publish sets the work around revocation going.
func (h *House) publish() {
	h.Jobs.Every("ca.publish", time.Second, h.Status.Publish)
	h.Jobs.Every("ca.revoked", time.Second, h.CA.EndRevoked)
	h.Jobs.EachNode("ca.status", time.Second, h.Status.Refresh)
	h.Jobs.Every("trust.lists", time.Minute, h.Trust.Fetch)
}

// ServeStatus answers about certificates in plain HTTP until ctx ends.
func (h *House) ServeStatus(ctx context.Context, l net.Listener) error {
	s := h.Status.Server()
	var all sync.WaitGroup
	failed := make(chan error, 1)
	all.Go(func() { failed <- s.Serve(l) })
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
		defer cancel()
		err = s.Shutdown(drain)
	}
	all.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// listenForStatus opens the configured listener for lists and answers.
func (h *House) listenForStatus(ctx context.Context) (stop func(), err error) {
	address := h.Config.Certificates.StatusListen
	if address == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s%w", h.Config.at("certificates.status_listen"), err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		if err := h.ServeStatus(ctx, l); err != nil && ctx.Err() == nil {
			h.Log.Error("the listener for lists and answers is closed", "error", err)
		}
	})
	h.Log.Info("lists and answers about certificates are given", "listen", l.Addr().String(), "base", h.Config.Certificates.Base)
	return func() { cancel(); all.Wait() }, nil
}

// checkStatusListen judges the address of the listener for lists and answers.
func (c *Config) checkStatusListen(wrong complaint) {
	for _, text := range c.Certificates.StatusUnlimited {
		if _, err := parsePrefix(text); err != nil {
			wrong("certificates.status_unlimited", "%q is neither an address nor a range such as 192.0.2.0/24", text)
		}
	}
	if c.Certificates.StatusListen == "" {
		return
	}
	if _, _, err := net.SplitHostPort(c.Certificates.StatusListen); err != nil {
		wrong("certificates.status_listen", "status_listen %q is not of the form HOST:PORT", c.Certificates.StatusListen)
	}
}

// statusUnlimited are the networks that may ask for any number of lists and answers;
// this machine is always one of them.
func (c *Config) statusUnlimited() []netip.Prefix {
	out := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, text := range c.Certificates.StatusUnlimited {
		if p, err := parsePrefix(text); err == nil { // judged with the configuration
			out = append(out, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
		}
	}
	return out
}

const (
	// listsLate is how long a revocation may wait for its list before somebody looks.
	listsLate = 5 * time.Minute
	// listsEnd and responderEnd are how long before their end lists and responders are
	// renewed at the latest when the work is done.
	listsEnd     = 4 * 24 * time.Hour
	responderEnd = 10 * 24 * time.Hour
)

// checkStatus looks at the age of lists, at the responder and at the lists of others.
func (h *House) checkStatus(ctx context.Context) ([]diagnosis.Finding, error) {
	var out []diagnosis.Finding
	issuers := 0
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		out = nil
		all, err := h.CA.Issuers(tx)
		if issuers = len(all); err != nil || issuers == 0 {
			return err
		}
		if out, err = h.checkLists(tx, all); err != nil {
			return err
		}
		roots, err := h.checkRoots(tx, all)
		if err != nil {
			return err
		}
		out = append(out, roots...)
		more, err := h.checkForeignLists(tx)
		out = append(out, more...)
		return err
	})
	if err != nil || issuers == 0 {
		return nil, err
	}
	return append(out, h.checkStatusReach(ctx)...), nil
}

func (h *House) checkLists(tx *store.Tx, issuers []ca.Issuer) ([]diagnosis.Finding, error) {
	lists, err := h.Status.Lists(tx)
	if err != nil {
		return nil, err
	}
	responders, err := h.Status.Responders(tx)
	if err != nil {
		return nil, err
	}
	names, until := map[string]string{}, map[string]time.Time{}
	for _, i := range issuers {
		if i.Publishes() {
			names[i.ID] = i.Name
		}
	}
	for _, r := range responders {
		until[r.Issuer] = r.Until
	}
	var out []diagnosis.Finding
	published := map[string]bool{}
	for _, l := range lists {
		name := names[l.Issuer]
		published[l.Issuer] = published[l.Issuer] || l.Number > 0
		switch {
		case name == "" || l.Number == 0:
		case tx.Now.After(l.NextUpdate):
			out = append(out, found("crl.expired", diagnosis.Broken, "issuer", name, "list", listName(l.Shard), "until", l.NextUpdate.UTC().Format(time.RFC3339))...)
		case l.NextUpdate.Sub(tx.Now) < listsEnd:
			out = append(out, found("crl.soon", diagnosis.Warn, "issuer", name, "list", listName(l.Shard), "until", l.NextUpdate.UTC().Format(time.RFC3339))...)
		case l.Waiting > 0 && tx.Now.Sub(l.Since) > listsLate:
			out = append(out, found("crl.late", diagnosis.Broken, "issuer", name, "list", listName(l.Shard), "count", strconv.FormatInt(l.Waiting, 10))...)
		}
	}
	for id, name := range names {
		switch end := until[id]; {
		case !published[id]:
			out = append(out, found("crl.none", diagnosis.Warn, "issuer", name)...)
		case end.IsZero():
			out = append(out, found("ocsp.none", diagnosis.Broken, "issuer", name)...)
		case end.Sub(tx.Now) < responderEnd:
			out = append(out, found("ocsp.soon", diagnosis.Warn, "issuer", name, "until", end.UTC().Format(time.RFC3339))...)
		}
	}
	return out, nil
}

func listName(shard int) string {
	if shard == 0 {
		return "full"
	}
	return strconv.Itoa(shard)
}

// checkForeignLists looks at the lists fetched from other houses.
func (h *House) checkForeignLists(tx *store.Tx) ([]diagnosis.Finding, error) {
	lists, err := h.Trust.Lists(tx)
	var out []diagnosis.Finding
	for _, l := range lists {
		switch {
		case l.Fetched.IsZero() || tx.Now.After(l.NextUpdate):
			out = append(out, found("foreigncrl.expired", diagnosis.Broken, "url", l.URL, "reason", l.Fault)...)
		case l.Fault != "":
			out = append(out, found("foreigncrl.failed", diagnosis.Warn, "url", l.URL, "reason", l.Fault, "until", l.NextUpdate.UTC().Format(time.RFC3339))...)
		}
	}
	return out, err
}

// checkStatusReach asks for a list under the address that stands in certificates.
func (h *House) checkStatusReach(ctx context.Context) []diagnosis.Finding {
	base := h.Config.Certificates.Base
	if base == "" {
		return nil
	}
	var path string
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		lists, err := h.Status.Lists(tx)
		for _, l := range lists {
			if l.Number > 0 {
				path = "/crl/" + url.PathEscape(l.Issuer) + "/full.crl"
			}
		}
		return err
	})
	if err != nil || path == "" {
		return nil
	}
	client := &http.Client{Timeout: reachTime, Transport: &http.Transport{DialContext: dial}}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return nil
	}
	answer, err := client.Do(q)
	if err != nil {
		return found("crl.reach", diagnosis.Warn, "base", base, "reason", err.Error())
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return found("crl.reach", diagnosis.Warn, "base", base, "reason", answer.Status)
	}
	return nil
}
