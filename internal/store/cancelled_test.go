package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"time"
)

// TestWhoeverWentAwayIsNoOutage: a caller that goes away breaks its own connection, and
// the server is not to blame; a server that does not answer in time is.
func TestWhoeverWentAwayIsNoOutage(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	other := errors.New("something else")
	for _, c := range []struct {
		ctx       context.Context
		err, want error
	}{
		{gone, driver.ErrBadConn, context.Canceled},
		{gone, sql.ErrTxDone, context.Canceled},
		{gone, other, other},
		{gone, nil, nil},
		{late, driver.ErrBadConn, driver.ErrBadConn},
		{late, sql.ErrTxDone, context.DeadlineExceeded},
		{t.Context(), driver.ErrBadConn, driver.ErrBadConn},
		{t.Context(), sql.ErrTxDone, sql.ErrTxDone},
	} {
		if got := cancelled(c.ctx, c.err); !errors.Is(got, c.want) || c.want == nil && got != nil {
			t.Errorf("%v after %v becomes %v, not %v", c.err, c.ctx.Err(), got, c.want)
		}
	}
	if Unavailable(cancelled(gone, driver.ErrBadConn)) {
		t.Error("a caller that went away is an outage")
	}
}
