package diagnosis

// requests are the causes for which no certificate is made.
func requests() []cause {
	ways := []string{"certificates", "contact"}
	return []cause{
		{"C9", afterProof, nil, ways},
		{"C9.form", afterProof, nil, ways},
		{"C9.key", afterProof, nil, ways},
		{"C9.taken", afterProof, nil, ways},
		{"C9.lint", afterProof, nil, ways},
		{"C9.limit", afterProof, []fact{{"limit", number}}, ways},
		{"C9.where", afterProof, nil, []string{"certificates", "zone", "contact"}},
		{"C9.early", afterProof, []fact{{"from", day}}, ways},
		{"C9.closed", afterProof, nil, ways},
	}
}
