// Package feed keeps the metadata that federations publish, and lets their services
// sign people in without having been registered here.
//
// It owns the feeds (where from, signed by whom, which one comes first), their
// verification and import, the entities in them, the alarms before a feed dies, and
// queries for single entities (MDQ). A feed is verified as it streams by (xmlstream);
// what is stored of an entity are the canonical bytes that were hashed, and nothing of
// a document counts before its whole digest was compared. An entity is a row; it is
// read when its service is first used, and rp finds it as a party (rp.Source).
//
// It does not own the form of one provider (metadata), what a service receives
// (rp.Rules), or signing people in (saml). It opens no files and dials only what an
// operator has configured.
package feed
