// Package refused puts on record which request of a service was refused and why,
// under the support code that the page shows.
//
// It owns that record: one for all fronts, bounded for each source, so that nobody can
// fill the disk with wrong requests. It does not own why a request is wrong (each
// front), nor the words (diagnosis) or the page (login).
package refused
