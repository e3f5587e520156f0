package app

// examplePolicy is the policy that "seimon init" writes: the plain one of a campus.
func examplePolicy() string { return examplePolicyText }

const examplePolicyText = `# What the campus decides. Apply it with "seimon policy apply policy.toml".

# Your networks. eduroam and guest networks count as off campus, the VPN as on campus.
[[zone]]
name = "campus"
kind = "campus"
ranges = ["10.0.0.0/8"]

[[rule]]
name = "two classes off campus"
classes = 2
trusted_browser = true

[[rule]]
name = "password on campus"
zones = ["on-campus"]
classes = 1

# A one-time password app is registered on campus, or with two classes already proved.
[enrolment]
zones = ["on-campus"]
classes = 2

[trusted_browser]
days = 7
`
