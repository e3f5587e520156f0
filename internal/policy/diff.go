package policy

// Change is one difference between two documents.
type Change struct {
	What  string // added, removed, changed
	Thing string // zone, rule, service, group, setting
	Name  string
	ID    string // message id in this room's words
	Facts map[string]string
}

// Diff lists what changes when new replaces old.
func Diff(old, new *Document) []Change { return nil }
