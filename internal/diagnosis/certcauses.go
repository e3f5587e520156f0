package diagnosis

// certificates are the causes about certificates and IC cards. Whoever shows a
// certificate holds its key, so what is said of the certificate itself may be told
// before a password; what they say of the account's other certificates is a fact
// that is only there once something else was proved.
func certificates() []cause {
	return []cause{
		{"C1", anyone, []fact{{"right", text}, {"right_tail", text}}, []string{"import", "locked", "contact"}},
		{"C1.broken", anyone, []fact{{"right", text}, {"right_tail", text}}, []string{"certificate", "card", "contact"}},
		{"C1.late", anyone, nil, []string{"certificates", "certificate", "contact"}},
		{"C2", anyone, []fact{{"name", text}, {"tail", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C2.own", anyone, []fact{{"name", text}, {"tail", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C2.none", anyone, []fact{{"name", text}, {"tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C3", anyone, []fact{{"name", text}, {"tail", text}, {"until", day}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C3.early", anyone, []fact{{"name", text}, {"tail", text}, {"since", moment}}, []string{"certificates", "certificate", "contact"}},
		{"C4", anyone, []fact{{"name", text}, {"tail", text}, {"since", day}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C4.hold", anyone, []fact{{"name", text}, {"tail", text}, {"since", day}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C4.compromise", anyone, []fact{{"name", text}, {"tail", text}, {"since", day}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C4.superseded", anyone, []fact{{"name", text}, {"tail", text}, {"since", day}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C4.left", anyone, []fact{{"name", text}, {"tail", text}, {"since", day}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C4.removed", anyone, []fact{{"name", text}, {"tail", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C5", anyone, []fact{{"name", text}, {"tail", text}, {"day", day}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C6", anyone, []fact{{"name", text}, {"tail", text}, {"mail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C6.since", anyone, []fact{{"name", text}, {"tail", text}, {"mail", text}, {"since", day}}, []string{"certificates", "certificate", "contact"}},
		{"C7", anyone, []fact{{"name", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C7.unknown", anyone, []fact{{"name", text}, {"issuer", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C7.self", anyone, []fact{{"name", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C7.server", anyone, []fact{{"name", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C7.usage", anyone, []fact{{"name", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C7.chain", anyone, []fact{{"name", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C7.weak", anyone, []fact{{"name", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"C7.status", anyone, []fact{{"name", text}, {"issuer", text}}, []string{"certificates", "certificate", "contact"}},
		{"C7.mapping", anyone, []fact{{"name", text}}, []string{"certificates", "certificate", "contact"}},
		{"C8", anyone, []fact{{"name", text}, {"tail", text}, {"right", text}, {"right_tail", text}}, []string{"certificates", "certificate", "contact"}},
		{"K1", anyone, []fact{{"right", text}, {"right_tail", text}}, []string{"card", "locked", "contact"}},
		{"K1.both", anyone, []fact{{"right", text}, {"right_tail", text}}, []string{"card", "import", "contact"}},
		{"K1.card", anyone, []fact{{"name", text}, {"tail", text}}, []string{"card", "number", "contact"}},
		{"K2", anyone, []fact{{"pin_left", number}, {"seen", day}}, []string{"locked", "card", "contact"}},
		{"K3", anyone, []fact{{"seen", day}}, []string{"locked", "contact"}},
		{"K4", anyone, []fact{{"since", day}}, []string{"mycard", "contact"}},
		{"K4.suspended", anyone, []fact{{"since", day}}, []string{"mycard", "contact"}},
		{"K4.lost", anyone, []fact{{"since", day}}, []string{"mycard", "contact"}},
		{"K4.replaced", anyone, []fact{{"since", day}}, []string{"mycard", "contact"}},
		{"K4.returned", anyone, []fact{{"since", day}}, []string{"mycard", "contact"}},
	}
}
