//go:build race

package directory_test

// many is how many accounts a large test takes; under the race detector SQLite is
// a hundred times slower.
const many = 2_000
