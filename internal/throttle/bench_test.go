package throttle_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
	"seimon/internal/throttle"
)

// BenchmarkOneSource is a rush of right sign-ins from one address, the worst case
// for the counters: every try and every success writes the same row.
func BenchmarkOneSource(b *testing.B) {
	db, _ := storetest.Open(b, throttle.Schema())
	th := throttle.New(throttle.DefaultLimits())
	source := netip.MustParseAddr("192.0.2.1")
	var n atomic.Int64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			try := throttle.Try{Who: fmt.Sprint("acc_", n.Add(1)), Factor: "password", Source: source}
			ctx := context.Background()
			if err := db.Background(ctx, func(tx *store.Tx) error { return th.Begin(tx, try) }); err != nil {
				b.Error(err)
			}
			if err := db.Write(ctx, func(tx *store.Tx) error { return th.Succeed(tx, try) }); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sign-ins/s")
}
