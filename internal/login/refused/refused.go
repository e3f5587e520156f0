package refused

import (
	"context"
	"log/slog"
	"maps"
	"net/http"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/store"
	"seimon/internal/web"
)

// Record is where a front puts what it refuses.
type Record struct {
	Front string // its name
	DB    *store.DB
	Audit *audit.Log
	Log   *slog.Logger
	// Told may change what the person is told of a cause; nil changes nothing.
	Told func(cause, told *authn.Fault)
}

const (
	// longest bounds what is kept of a cause that is for programmers.
	longest = 300
	// clockHere is the cause when it is our own clock that is wrong.
	clockHere authn.Code = "B3.here"
)

// Put puts a cause on record and gives the support code under which it is found. The
// facts are the cause's; "party" is the service. What a source repeats beyond its budget
// is counted, and its code is that of the last one like it.
func (x Record) Put(r *http.Request, cause *authn.Fault) (support string) {
	return x.put(r.Context(), web.ClientOf(r).Addr.String(), cause)
}

// PutOf is Put for what is known of a service alone, without a request of its own.
func (x Record) PutOf(ctx context.Context, cause *authn.Fault) (support string) {
	return x.put(ctx, "", cause)
}

func (x Record) put(ctx context.Context, address string, cause *authn.Fault) string {
	facts := map[string]string{}
	maps.Copy(facts, cause.Facts)
	facts["code"], facts["front"] = string(cause.Code), x.Front
	if cause.Cause != nil {
		why := cause.Cause.Error()
		facts["why"] = why[:min(len(why), longest)]
	}
	e := audit.Event{Type: diagnosis.EventRefused, Support: diagnosis.NewCode(), Party: facts["party"], Address: address, Facts: facts}
	delete(facts, "party")
	support, ok := x.Audit.Afford(audit.Few(), e)
	if !ok {
		return support
	}
	err := x.DB.Write(ctx, func(tx *store.Tx) error {
		if d := facts[diagnosis.FactDirection]; d != "" {
			if ours, err := diagnosis.OwnClock(tx, x.Audit, e.Party, d); err != nil {
				return err
			} else if ours {
				facts["code"] = string(clockHere)
			}
		}
		return x.Audit.Append(tx, e)
	})
	if err != nil {
		x.Log.Error("a refused request is not on record", "error", err)
	}
	return support
}

// Explained puts the causes of a handler (R3, B3) on record, under a support code that
// the page will show.
func (x Record) Explained(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		cause := authn.AsFault(err)
		if cause == nil || cause.Code.Family() != "R3" && cause.Code.Family() != "B3" {
			return err
		}
		told := &authn.Fault{Code: cause.Code, Facts: map[string]string{}, Cause: cause.Cause}
		maps.Copy(told.Facts, cause.Facts)
		if x.Told != nil {
			x.Told(cause, told)
		}
		told.Facts["support"] = x.Put(r, cause)
		return told
	}
}

// Ending is Explained for a cause that was found at the end of a sign-in: the service, or
// the address that its answer would go to, is not registered any more.
func (x Record) Ending(cause error) web.Handler {
	return x.Explained(func(http.ResponseWriter, *http.Request) error { return cause })
}
