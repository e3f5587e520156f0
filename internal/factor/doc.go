// Package factor is the contract of everything that can be proved at the gate, and
// the shelf on which what was enrolled is kept.
//
// It owns the words Factor, Attempt, Prompt, Answer, Verified, Enroller, Enrolled
// and Binding, and the table factor_binding with its sealed payloads. A factor
// proves; it never decides which proof is needed (policy), never counts tries
// (throttle), never writes the record (audit) and never draws a page or sees a
// request (login, web). The kinds live below: password, totp, mailcode; each is
// held to the suite in factortest.
//
// # What a kind brings
//
// Beside its Factor each kind exports Templates() fs.FS (html/template text, one
// block per file, named KIND.prove, KIND.enroll, ...) and Words() lang.Source.
// Three messages exist for every kind: KIND.name (its name in a list), KIND.choose
// (the sentence in the choice of a second step) and KIND.help (one sentence on what
// it is). A template holds fields only: the caller adds the form, the pass, the
// button and the other ways. The dot of a template is Prompt.Data. Buttons of the kind's
// own stand in the template Prompt.After, below the primary button and in the same
// form: the first button of a form is what the Enter key presses.
//
// # Questions with more than one step
//
// Verify and Finish may return ErrMore: the answer was accepted but it was not the
// proof (an address was given, a new code was asked for). The caller asks Challenge
// or Begin again. Such an answer is no try; it is recognised beforehand by the form
// field FieldAgain when a person asks for the same challenge anew.
//
// # Facts
//
// Facts of a fault are texts: times in RFC 3339 (TimeFact), seconds and counts as
// decimal numbers, flags as "yes" or absent.
package factor
