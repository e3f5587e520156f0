package oidc

import (
	"encoding/json"
	"net/http"
)

// The error codes that leave this room.
const (
	errInvalidRequest       = "invalid_request"            // RFC 6749 4.1.2.1, 5.2
	errInvalidClient        = "invalid_client"             // RFC 6749 5.2
	errInvalidGrant         = "invalid_grant"              // RFC 6749 5.2
	errUnauthorizedClient   = "unauthorized_client"        // RFC 6749 5.2
	errUnsupportedGrant     = "unsupported_grant_type"     // RFC 6749 5.2
	errUnsupportedResponse  = "unsupported_response_type"  // RFC 6749 4.1.2.1
	errInvalidScope         = "invalid_scope"              // RFC 6749 5.2
	errAccessDenied         = "access_denied"              // RFC 6749 4.1.2.1
	errServer               = "server_error"               // RFC 6749 4.1.2.1
	errUnavailable          = "temporarily_unavailable"    // RFC 6749 4.1.2.1
	errLoginRequired        = "login_required"             // OIDC Core 3.1.2.6
	errConsentRequired      = "consent_required"           // OIDC Core 3.1.2.6
	errInteractionRequired  = "interaction_required"       // OIDC Core 3.1.2.6
	errSelectionRequired    = "account_selection_required" // OIDC Core 3.1.2.6
	errInvalidRequestObject = "invalid_request_object"     // RFC 9101 7
	errInvalidRequestURI    = "invalid_request_uri"        // RFC 9101 7
	errNoRequestObject      = "request_not_supported"      // OIDC Core 3.1.2.6
	errNoRequestURI         = "request_uri_not_supported"  // OIDC Core 3.1.2.6
	errUnmetAuthentication  = "unmet_authentication_requirements"
	errInvalidToken         = "invalid_token"          // RFC 6750 3.1
	errInsufficientScope    = "insufficient_scope"     // RFC 6750 3.1
	errUnsupportedTokenType = "unsupported_token_type" // RFC 7009 2.2.1
)

// refusal is what a service is told in the words of OAuth. The text is for the
// people who build the service, in English, without quotes or backslashes
// (RFC 6749 5.2), and holds nothing secret.
type refusal struct {
	code, text string
	// basic tells that the client tried the Authorization header, which the
	// answer must name (RFC 6749 5.2).
	basic bool
	// skew tells that only a wrong clock is at fault.
	skew *skew
}

func refuse(code, text string) *refusal { return &refusal{code: code, text: text} }

// Error gives code and text, for logs.
func (r *refusal) Error() string { return r.code + ": " + r.text }

func (r *refusal) status() int {
	switch r.code {
	case errInvalidClient:
		return http.StatusUnauthorized
	case errServer:
		return http.StatusInternalServerError
	case errUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// write answers a machine (RFC 6749 5.2).
func (r *refusal) write(w http.ResponseWriter) error {
	if r.basic && r.code == errInvalidClient {
		w.Header().Set("WWW-Authenticate", `Basic realm="seimon", charset="UTF-8"`)
	}
	return writeJSON(w, r.status(), map[string]string{"error": r.code, "error_description": r.text})
}

// writeJSON answers with JSON that nobody keeps.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store") // RFC 6749 5.1
	h.Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
