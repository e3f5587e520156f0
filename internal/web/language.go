package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"seimon/internal/lang"
)

// langCookie remembers the choice of a person for a year.
const (
	langCookie = "lang"
	langParam  = "lang"
	langLife   = 365 * 24 * time.Hour
)

// Lang speaks the language of this request.
func Lang(r *http.Request) lang.Printer { return visitOf(r).printer }

// WithLang gives a language that somebody else knows for this person (ui_locales of
// a service, the choice kept with the account). It yields to what the person chose
// here and wins over the browser's setting. The request itself is changed and
// returned.
func WithLang(r *http.Request, tag lang.Tag) *http.Request {
	if v := visitOf(r); !v.chosen && v.words != nil && tag != "" {
		v.printer = v.words.In(tag)
	}
	return r
}

// chooseLang settles the language: the link just followed, the choice remembered,
// then what the browser asks for.
func (s *Site) chooseLang(w http.ResponseWriter, r *http.Request) {
	v := visitOf(r)
	asked := lang.Tag(r.URL.Query().Get(langParam))
	kept := lang.Tag(Cookie(r, langCookie))
	switch {
	case s.speaks(asked):
		v.printer, v.chosen = s.cfg.Words.In(asked), true
		if asked != kept {
			SetCookie(w, langCookie, string(asked), langLife)
		}
	case s.speaks(kept):
		v.printer, v.chosen = s.cfg.Words.In(kept), true
	default:
		v.printer = s.cfg.Words.In(s.cfg.Words.Match(r.Header.Get("Accept-Language")))
	}
}

// speaks tells whether a language is one of ours.
func (s *Site) speaks(tag lang.Tag) bool {
	for _, t := range s.cfg.Words.Tags() {
		if t == tag {
			return true
		}
	}
	return false
}

// language is one entry of the switch.
type language struct {
	Tag  lang.Tag
	Name string
	URL  string
	Here bool
}

// switchTo lists the languages with the address of the same page in each. again
// is that address; "" means the one that was asked for.
func (s *Site) switchTo(r *http.Request, again string) []language {
	here, err := url.Parse(again)
	if again == "" || err != nil {
		here = r.URL
	}
	var list []language
	query := here.Query()
	for _, tag := range s.cfg.Words.Tags() {
		query.Set(langParam, string(tag))
		link := url.URL{Path: "/" + strings.TrimLeft(here.Path, "/"), RawQuery: query.Encode()} // never "//host"
		list = append(list, language{Tag: tag, Name: s.cfg.Words.In(tag).T("lang.name"), URL: link.RequestURI(), Here: tag == Lang(r).Tag()})
	}
	return list
}
