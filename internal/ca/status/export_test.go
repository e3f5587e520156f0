package status

// Sources is how many sources the limiter remembers.
func (s *Status) Sources() int {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	return len(s.limits.sources)
}
