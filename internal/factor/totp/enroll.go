package totp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/store"
)

const secretBytes = 20 // RFC 4226, 4: 160 bits

// form is the dot of totp.enroll.
type form struct {
	Issuer, Account string
	Digits, Seconds int
	Key             []string // the secret in groups of four
	Link            template.URL
	QR              picture
	Replaces        []device // what the new registration takes the place of
}

// picture is a QR code as the path of an SVG, with its quiet zone.
type picture struct {
	Size int
	Path string
}

// settings are the policy document's words: devices (how many at most) and lastWins
// ("true": a new registration takes the place of all others).
const (
	settingDevices  = "devices"
	settingLastWins = "lastWins"
	devicesDefault  = 5
)

// Begin shows a new secret. Within one transaction it is always the same; begun
// anew elsewhere, the unfinished one is thrown away. Fault T8 {maximum}.
func (f *Factor) Begin(ctx context.Context, a factor.Attempt) (factor.Prompt, error) {
	fresh := record{shape: f.shape, Secret: make([]byte, secretBytes), Transaction: a.Transaction}
	rand.Read(fresh.Secret) //nolint:errcheck // never fails (crypto/rand.Read)
	var b begun
	err := f.bindings.Write(ctx, func(tx *store.Tx) (err error) {
		b, err = f.begin(tx, a, fresh)
		return err
	})
	if err != nil {
		return factor.Prompt{}, err
	}
	data, err := f.form(a, b)
	return factor.Prompt{Template: "totp.enroll", Title: "totp.enroll.title", Button: "totp.enroll.button", Data: data}, err
}

// begun is a registration in progress and what the account had before.
type begun struct {
	entry
	active []entry
	again  bool // the app may hold an older entry of this account
}

func (f *Factor) begin(tx *store.Tx, a factor.Attempt, fresh record) (begun, error) {
	active, pending, err := f.present(tx, a.Subject.Account)
	if err != nil {
		return begun{}, err
	}
	if err := full(a.Settings, len(active)); err != nil {
		return begun{}, err
	}
	out := begun{active: active}
	for _, p := range pending {
		if a.Transaction != "" && p.Transaction == a.Transaction {
			out.entry = p
			continue
		}
		if err := f.bindings.Remove(tx, p.ID); err != nil {
			return begun{}, err
		}
	}
	retired, err := f.bindings.Retired(tx, a.Subject.Account, Kind)
	if err != nil {
		return begun{}, err
	}
	out.again = len(active)+len(retired) > 0
	if out.ID == "" {
		out.record = fresh
		out.Binding, err = f.bindings.Add(tx, factor.Binding{Account: a.Subject.Account, Kind: Kind, State: factor.Pending, Payload: fresh.bytes()})
	}
	return out, err
}

// present reads the bindings of this kind as they are inside tx.
func (f *Factor) present(tx *store.Tx, account authn.AccountID) (active, pending []entry, err error) {
	all, err := f.bindings.Of(tx, account)
	if err != nil {
		return nil, nil, err
	}
	a := factor.Attempt{Bindings: all}
	if active, err = read(a.Active()); err != nil {
		return nil, nil, err
	}
	pending, err = read(a.Pending())
	return active, pending, err
}

// full is T8 when one more device would be too many.
func full(s factor.Settings, have int) error {
	most := max(1, s.Int(settingDevices, devicesDefault))
	if have < most || s.Bool(settingLastWins, false) {
		return nil
	}
	return authn.NewFault("T8", "maximum", strconv.Itoa(most))
}

// form fills the page. An account that registered before gets the day into the name
// that the app shows, so that its owner can tell the entries apart.
func (f *Factor) form(a factor.Attempt, b begun) (form, error) {
	name := a.Subject.UserName
	if b.again {
		name += " " + b.Created.In(f.zone).Format(time.DateOnly)
	}
	out := form{Issuer: f.issuer, Digits: b.Digits, Seconds: b.Period}
	if a.Settings.Bool(settingLastWins, false) {
		for _, o := range b.active {
			out.Replaces = append(out.Replaces, device{o.Label, o.Created, o.Used})
		}
	}
	out.Account = name
	link := address(f.issuer, name, b.record)
	out.Link = template.URL(link) //nolint:gosec // built by address from escaped parts
	key := b.base32Secret()
	for i := 0; i < len(key); i += 4 {
		out.Key = append(out.Key, key[i:min(i+4, len(key))])
	}
	var err error
	out.QR, err = draw(link)
	return out, err
}

// address is the otpauth URI that apps read. Spaces are %20: several apps show a
// plus sign as it is.
func address(issuer, account string, r record) string {
	clean := strings.NewReplacer(":", " ").Replace
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=%s&digits=%d&period=%d",
		escape(clean(issuer)), escape(clean(account)), r.base32Secret(), escape(clean(issuer)), r.Algorithm, r.Digits, r.Period)
}

// draw makes the QR code, one run of dark modules after the other.
func draw(text string) (picture, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return picture{}, fmt.Errorf("totp: QR code: %w", err)
	}
	const quiet = 4 // modules (ISO/IEC 18004, 6.3.8)
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			run := 0
			for code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	return picture{Size: code.Size + 2*quiet, Path: path.String()}, nil
}

// Finish judges the form fields "code" and "label" (optional). Faults: T1.form,
// T1.enroll, T2, T4 and T5 (the code of a registration that was replaced or given up),
// T5.lost, T8.
func (f *Factor) Finish(ctx context.Context, a factor.Attempt, ans factor.Answer) (factor.Enrolled, error) {
	j, err := f.open(ctx, a, ans)
	if err != nil {
		return factor.Enrolled{}, err
	}
	e, ok := mine(j.pending, a.Transaction)
	if !ok {
		return factor.Enrolled{}, authn.NewFault("T5.lost")
	}
	if err := full(a.Settings, len(j.active)); err != nil {
		return factor.Enrolled{}, err
	}
	now := e.record.step(j.now)
	step, found := e.find(j.code, int64(enrolReach/time.Second)/int64(e.Period), now)
	label := labelOf(ans.Get("label"))
	if !found {
		e.Label = label
		return factor.Enrolled{}, f.explainEnrolment(ctx, j, e)
	}
	return f.enrolled(a, j, hit{e, step}, label), nil
}

// mine finds the registration that was begun in this transaction.
func mine(pending []entry, transaction string) (entry, bool) {
	for _, e := range pending {
		if e.Transaction == transaction {
			return e, true
		}
	}
	return entry{}, false
}

func (f *Factor) explainEnrolment(ctx context.Context, j judge, e entry) error {
	if h, ok := j.nearby([]entry{e}); ok {
		return j.clock(h)
	}
	err := f.explain(ctx, judge{account: j.account, code: j.code, now: j.now})
	if fault := authn.AsFault(err); fault == nil || fault.Code != "T1" {
		return err
	}
	if e.Label == "" {
		return j.with(authn.NewFault("T1.enroll"))
	}
	return j.with(authn.NewFault("T1.enroll", "device", e.Label))
}

func (f *Factor) enrolled(a factor.Attempt, j judge, h hit, label string) factor.Enrolled {
	if label == "" {
		label = "TOTP"
	}
	b, r := h.Binding, h.record
	b.Label = freeLabel(label, a.Active())
	r.Drift, r.Transaction = h.step-r.step(j.now), ""
	b.Payload, b.Counter = r.bytes(), h.step
	evidence := f.evidence(b, a.Now)
	out := factor.Enrolled{Binding: b, Evidence: &evidence, Facts: map[string]string{"device": b.Label, "drift": h.seconds(j.now)}}
	if a.Settings.Bool(settingLastWins, false) {
		out.Replaced = a.Active()
	}
	out.Binding.State = factor.Active
	out.Commit = func(tx *store.Tx) error { return f.finish(tx, a, b) }
	return out
}

// finish activates a registration once; another request that was first leaves
// nothing to activate.
func (f *Factor) finish(tx *store.Tx, a factor.Attempt, b factor.Binding) error {
	active, _, err := f.present(tx, a.Subject.Account)
	if err != nil {
		return err
	}
	if err := full(a.Settings, len(active)); err != nil {
		return err
	}
	if err := f.bindings.Activate(tx, b.ID); errors.Is(err, factor.ErrNone) {
		return authn.NewFault("T5.lost")
	} else if err != nil {
		return err
	}
	if _, err := f.bindings.Advance(tx, b.ID, b.Counter); err != nil {
		return err
	}
	if err := f.bindings.Save(tx, b); err != nil {
		return err
	}
	if err := f.bindings.Rename(tx, b.ID, b.Label); err != nil {
		return err
	}
	if !a.Settings.Bool(settingLastWins, false) {
		return nil
	}
	for _, old := range active {
		if err := f.bindings.Remove(tx, old.ID); err != nil {
			return err
		}
	}
	return nil
}
