package login_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"seimon/internal/login/logintest"
)

// BenchmarkBegin is a request without a cookie, as far as the first page of its sign-in:
// of a crowd behind one address and of strangers from everywhere.
func BenchmarkBegin(b *testing.B) {
	for name, most := range map[string]uint32{"one source": 1, "many sources": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			h := logintest.New(b, nil, nil)
			h.Enter()
			var n atomic.Uint32
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					from := n.Add(1) % most
					r := httptest.NewRequest(http.MethodGet, logintest.Origin+"/enter/library", nil)
					r.RemoteAddr = "203." + strconv.Itoa(int(from>>16)) + "." + strconv.Itoa(int(from>>8&255)) + "." + strconv.Itoa(int(from&255)) + ":40000"
					w := httptest.NewRecorder()
					h.Site.Handler().ServeHTTP(w, r)
					if !strings.HasPrefix(w.Header().Get("Location"), "/login/") {
						b.Fatal(w.Code)
					}
				}
			})
		})
	}
}
