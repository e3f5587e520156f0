package policy

// Check tells whether every service that the document names exists; the portal
// always does. The error is an *Invalid.
func (d *Document) Check(known func(service string) bool) error {
	r := &reader{file: d.file}
	check := func(service string, line int) {
		if service != "" && service != Portal && !known(service) {
			r.fault(line, "there is no service %q", service)
		}
	}
	for _, s := range d.services {
		check(s.Name, s.Line)
	}
	for _, rule := range d.rules {
		check(rule.Service, rule.serviceLine)
	}
	for _, service := range d.cert.Services {
		check(service, d.cert.servicesLine)
	}
	return r.err()
}
