package password

// Occupy takes a turn to hash, until leave is called.
func (f *Factor) Occupy() (leave func()) {
	f.arena.slots <- struct{}{}
	return func() { <-f.arena.slots }
}
