//go:build !race

package directory_test

// many is how many accounts a large test takes.
const many = 20_000
