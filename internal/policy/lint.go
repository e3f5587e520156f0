package policy

// Finding is something that is allowed but unwise.
type Finding struct {
	Code  string // stable, such as "mailcode.lifetime"
	Line  int    // 0 when it is about the whole document
	ID    string // message id in this room's words
	Facts map[string]string
}

// Lint lists what is allowed but unwise, in line order.
func (d *Document) Lint() []Finding { return nil }
