package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"seimon/internal/app"
)

func TestTheDemoBelongsToAFederation(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // from the first start and from a later one
		r := start(t, "--data", dir)
		ask := func(args ...string) []byte {
			t.Helper()
			var out, bad bytes.Buffer
			args = append([]string{"--config", filepath.Join(dir, "seimon.toml")}, args...)
			if code := app.Run(context.Background(), args, app.Streams{Out: &out, Err: &bad}); code != 0 {
				t.Fatalf("%v ended with %d: %s", args, code, bad.String())
			}
			return out.Bytes()
		}
		var feed struct {
			Loaded struct{ Services, Generation int }
			Fault  string
		}
		if err := json.Unmarshal(ask("feed", "show", "demo-federation", "--json"), &feed); err != nil || feed.Loaded.Services != 50 || feed.Fault != "" {
			t.Errorf("%+v %v", feed, err)
		}
		var service struct {
			Names   map[string]string
			Consent string
		}
		if err := json.Unmarshal(ask("feed", "show", "https://sp00007.federation.example/shibboleth", "--json"), &service); err != nil || service.Names["ja"] != "研究サービス 7" || service.Consent != "ask" {
			t.Errorf("%+v %v", service, err)
		}
		r.stop()
		r.ended <- <-r.ended // the clean-up waits for it as well
	}
}
