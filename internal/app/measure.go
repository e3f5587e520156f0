package app

import (
	"context"
	"math"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"seimon/internal/store"
)

// measures are the figures behind /metrics. Labels come from closed lists only:
// the routes of the site and status codes.
type measures struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newMeasures() *measures {
	m := &measures{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "seimon_request_seconds",
			Help:    "Time to answer a request, by route and status.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3},
		}, []string{"route", "status"}),
	}
	m.registry.MustRegister(m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *measures) observe(pattern string, status int, took time.Duration) {
	if pattern == "" {
		pattern = "none"
	}
	m.requests.WithLabelValues(pattern, strconv.Itoa(status)).Observe(took.Seconds())
}

// collect adds the figures that are read from the database at each look.
func (h *House) collect() {
	gauge := func(name, help string, read func(tx *store.Tx) (float64, error)) {
		h.measure.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			var value float64
			err := h.DB.Read(ctx, func(tx *store.Tx) (err error) {
				value, err = read(tx)
				return err
			})
			if err != nil {
				return math.NaN()
			}
			return value
		}))
	}
	gauge("seimon_mail_waiting", "Mails that were tried and not taken yet.", func(tx *store.Tx) (float64, error) {
		b, err := h.Mail.Backlog(tx)
		return float64(b.Waiting), err
	})
	gauge("seimon_feed_left_seconds", "Time until the first metadata feed dies; infinite without one.", h.feedLeft)
	gauge("seimon_tasks_dead", "Background tasks that were given up, at most 1000.", func(tx *store.Tx) (float64, error) {
		dead, err := h.Jobs.Dead(tx, 1000)
		return float64(len(dead)), err
	})
	gauge("seimon_policy_version", "Version of the policy in force; 0 is the built-in one.", func(tx *store.Tx) (float64, error) {
		_, version, err := h.Policy.Active(tx)
		return float64(version), err
	})
}

// operators is what the listener for operators answers.
func (h *House) operators(profile bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.measure.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _ = alive(w) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { _ = h.readiness(r.Context()).send(w) })
	if profile {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}
