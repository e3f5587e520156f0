package metadata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// MaxOne bounds the metadata of a single service, in bytes.
	MaxOne = 1 << 20
	// fetchTime bounds fetching it.
	fetchTime = 30 * time.Second
)

// Remote tells whether a name is an address from which metadata can be fetched.
func Remote(name string) bool { return strings.HasPrefix(name, "https://") }

// Fetch gets the metadata of a single service from an address. Redirects are followed on
// the same server alone: who may speak for the service is who has its name.
func Fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("metadata_url: %.200q is no https address", address)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.8")
	r.Header.Set("User-Agent", "seimon")
	c := *client
	c.CheckRedirect = func(to *http.Request, via []*http.Request) error {
		if to.URL.Scheme != u.Scheme || to.URL.Host != u.Host {
			return fmt.Errorf("the redirect to %s://%s leads to another server", to.URL.Scheme, to.URL.Host)
		}
		if len(via) > 3 {
			return errors.New("more than three redirects")
		}
		return nil
	}
	a, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", u.Host, a.Status)
	}
	text, err := io.ReadAll(io.LimitReader(a.Body, MaxOne+1))
	if err == nil && len(text) > MaxOne {
		err = fmt.Errorf("the document at %s is longer than %d bytes", u.Host, MaxOne)
	}
	return text, err
}
