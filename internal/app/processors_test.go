package app

import (
	"runtime"
	"testing"
)

func TestServingAgainCollectsNoProcessors(t *testing.T) {
	t.Setenv("GOMAXPROCS", "") // a set one is left alone
	before := runtime.GOMAXPROCS(0)
	h := &House{Config: &Config{}}
	h.Config.Password.Parallel = 3
	first := h.spread()
	if n := runtime.GOMAXPROCS(0); n != before+3 {
		t.Errorf("%d processors instead of %d and three spare ones", n, before)
	}
	second := h.spread()
	if n := runtime.GOMAXPROCS(0); n != before+3 {
		t.Errorf("%d processors for the second time", n)
	}
	second()
	first()
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d processors are left, %d were there", n, before)
	}
}
