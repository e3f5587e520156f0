package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// work is one thing done again and again. worker numbers who does it, from 0.
type work func(worker int) error

// result is what a load measured.
type result struct {
	took    []time.Duration // sorted, of what went right
	errors  int64
	first   error // the first error
	elapsed time.Duration
}

// rate is how many were answered in a second.
func (r *result) rate() float64 { return float64(len(r.took)) / r.elapsed.Seconds() }

// at gives the latency below which the share p of all answers came.
func (r *result) at(p float64) time.Duration {
	if len(r.took) == 0 {
		return 0
	}
	return r.took[min(len(r.took)-1, int(p*float64(len(r.took))))]
}

// latency is p50, p95 and p99 in words.
func (r *result) latency() string {
	return fmt.Sprintf("%s / %s / %s", millis(r.at(.5)), millis(r.at(.95)), millis(r.at(.99)))
}

func millis(d time.Duration) string {
	ms := float64(d.Microseconds()) / 1000
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

// tally collects what the workers of one load report.
type tally struct {
	mu     sync.Mutex
	result result
	failed atomic.Int64
}

// tooMany ends a load that only fails.
const tooMany = 100

func (t *tally) add(took []time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.took = append(t.result.took, took...)
}

func (t *tally) fail(err error) (stop bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.result.first == nil {
		t.result.first = err
	}
	t.result.errors++
	return t.failed.Add(1) > tooMany
}

func (t *tally) end(begun time.Time) *result {
	t.result.elapsed = time.Since(begun)
	slices.Sort(t.result.took)
	return &t.result
}

// closed lets each worker begin again as soon as it is answered.
func closed(ctx context.Context, workers int, d time.Duration, do work) *result {
	t := &tally{}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	begun := time.Now()
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			var took []time.Duration
			defer func() { t.add(took) }()
			for ctx.Err() == nil {
				from := time.Now()
				if err := do(n); err == nil {
					took = append(took, time.Since(from))
				} else if t.fail(err) {
					return
				}
			}
		})
	}
	all.Wait()
	return t.end(begun)
}

// open lets requests arrive at a fixed rate, whether or not earlier ones are
// answered. Latency counts from the moment of arrival, so a queue is not hidden.
func open(ctx context.Context, workers int, perSecond float64, d time.Duration, do work) *result {
	t := &tally{}
	arrivals := make(chan time.Time, int(perSecond*d.Seconds())+1)
	begun := time.Now()
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			var took []time.Duration
			defer func() { t.add(took) }()
			for at := range arrivals {
				if err := do(n); err == nil {
					took = append(took, time.Since(at))
				} else if t.fail(err) {
					return
				}
			}
		})
	}
	each := time.Duration(float64(time.Second) / perSecond)
	for next := begun; next.Before(begun.Add(d)) && ctx.Err() == nil && t.failed.Load() <= tooMany; next = next.Add(each) {
		time.Sleep(time.Until(next))
		arrivals <- next
	}
	close(arrivals)
	all.Wait()
	return t.end(begun)
}
