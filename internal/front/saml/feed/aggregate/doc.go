// Package aggregate writes signed SAML metadata as a federation publishes it: many
// entities under one signature, or a single one for queries (MDQ).
//
// The demo's federation, the tests and the benchmarks are made with it; what is read
// of foreign metadata is feed's and metadata's.
package aggregate
