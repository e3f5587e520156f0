// Package webtest is a browser for tests: it speaks to handlers in memory, keeps
// cookies, follows redirects, fills in forms and refuses what a real browser refuses.
//
//	b := webtest.New(t, "https://sso.example.ac.jp", site.Handler())
//	b.Get("/login").Submit("サインイン", "user", "s1234567", "password", "...")
//	b.Want("二段階目の確認")
//	b.Submit("確認する", "code", "123456")
//	if b.Location() != "https://app.example/callback?..." { … }
//
// It runs no script, so what passes here works without script. It does not judge
// looks or accessibility: that is done in real browsers.
package webtest
