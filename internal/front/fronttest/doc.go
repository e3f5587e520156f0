// Package fronttest is what every front must pass, whatever protocol it speaks: it
// asserts no more than was proved and no less than the rule asks, its requests
// cannot be exchanged under way, and the end of a session reaches its services.
//
// It owns the promises that all fronts make to people and to policy. It does not
// own what a protocol's standard asks: that is tested in the front's own room.
package fronttest
