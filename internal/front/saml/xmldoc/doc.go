// Package xmldoc reads and writes the XML of SAML, and nothing more of XML than
// SAML needs.
//
// Parse takes foreign bytes in one pass into a small tree and refuses what has been
// used to make two readers see two documents: document types, entities, processing
// instructions, text broken by comments, values mixed with elements, ids that occur
// twice, and anything beyond its limits. Canonical gives the exclusive canonical form
// of a part of such a tree. Writer writes documents that are in that form already.
//
// It does not know signatures (xmlsig), encryption (xmlenc) or SAML's messages.
package xmldoc
