package saml

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"seimon/internal/audit"
	"seimon/internal/front/saml/beyond"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
)

const soapSpace = "http://schemas.xmlsoap.org/soap/envelope/"

// SignOut implements login.SignOuter: a service that takes SOAP is told that a session
// is over (SAML Profiles 2.0, 4.4.3.1). An error asks to be called again later; every
// result is put on record.
func (f *Front) SignOut(ctx context.Context, v session.Visit) error {
	var k known
	if json.Unmarshal(v.Detail, &k) != nil {
		return nil
	}
	var s *service
	err := f.DB.Write(ctx, func(tx *store.Tx) (err error) {
		s = nil
		if err := forgetName(tx, v); err != nil || v.Why == whyAsked+v.Party {
			return err
		}
		s, err = f.visited(tx, v)
		return err
	})
	if err != nil || s == nil {
		return err
	}
	to, ok := s.logout(metadata.SOAP)
	if !ok {
		return nil
	}
	status, again, err := f.tell(ctx, s, to.Location, stop{v.Party, k.Name, v.ID})
	facts, event := map[string]string{"status": strconv.Itoa(status)}, "saml.logout.told"
	if err != nil {
		event, facts["error"] = "saml.logout.failed", shorten(err.Error())
	}
	key := f.signing(s)
	recorded := f.DB.Write(ctx, func(tx *store.Tx) error {
		if event == "saml.logout.told" {
			if err := noteUptake(tx, key, v.Party, uptakeUsed, saysConfirmed); err != nil {
				return err
			}
		}
		return f.Audit.Append(tx, audit.Event{
			Type: event, Account: v.Account, Actor: "service:" + v.Party, Session: v.Session, Party: v.Party, Facts: facts,
		})
	})
	if !again {
		err = nil
	}
	return errors.Join(err, recorded)
}

// tell sends a LogoutRequest by SOAP (SAML Bindings 2.0, 3.2). again tells whether
// trying later may help.
func (f *Front) tell(ctx context.Context, s *service, address string, t stop) (code int, again bool, err error) {
	key, _, err := f.signerFor(s)
	if err != nil {
		return 0, true, err
	}
	text, id, at, err := f.logoutRequest(s, t, address)
	if err != nil {
		return 0, false, err
	}
	if text, err = xmlsig.Sign(text, id, at, key); err != nil {
		return 0, true, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(inEnvelope(text)))
	if err != nil {
		return 0, false, err
	}
	r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	r.Header.Set("SOAPAction", "http://www.oasis-open.org/committees/security")
	carrier := *f.Client
	if s.Source != "" { // its address is that of a stranger
		carrier = *beyond.Client(f.Client)
	}
	carrier.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := carrier.Do(r)
	if err != nil {
		return 0, true, err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, maxMessage))
	if err != nil || res.StatusCode >= 500 {
		return res.StatusCode, true, errors.Join(err, fmt.Errorf("the service answered %d", res.StatusCode))
	}
	return res.StatusCode, false, f.heard(s, said, id)
}

// heard checks the answer to a LogoutRequest that went by SOAP.
func (f *Front) heard(s *service, said []byte, id string) error {
	root, err := xmldoc.Parse(said, xmldoc.Limits{Bytes: maxMessage, Prose: true})
	if err != nil {
		return err
	}
	n := root.First(soapSpace, "Body").First(metadata.SAMLP, "LogoutResponse")
	if n == nil {
		return errors.New("the service did not answer with a LogoutResponse")
	}
	keys, err := s.Keys()
	if err != nil {
		return err
	}
	if xmlsig.Signed(n) {
		if n, err = xmlsig.Verify(n, keys, limits()); err != nil {
			return err
		}
	}
	code := n.Path(metadata.SAMLP, "Status", "StatusCode")
	if code == nil || n.Attr("InResponseTo") != id || code.Attr("Value") != statusSuccess || code.First(metadata.SAMLP, "StatusCode") != nil {
		return errors.New("the service did not end its session")
	}
	return nil
}

// CanTell tells whether the service of a visit can be told of the end of a session
// without a browser.
func (f *Front) CanTell(tx *store.Tx, v session.Visit) (bool, error) {
	s, err := f.visited(tx, v)
	if err != nil || s == nil {
		return false, err
	}
	_, ok := s.logout(metadata.SOAP)
	return ok, nil
}

// visited is the service of a visit; nil when it is gone.
func (f *Front) visited(tx *store.Tx, v session.Visit) (*service, error) {
	p, err := f.Parties.Get(tx, v.Party)
	if errors.Is(err, rp.ErrNone) || err == nil && (p.Protocol != Name || p.Disabled) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return f.services.of(p)
}
