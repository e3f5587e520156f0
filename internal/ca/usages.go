package ca

import "crypto/x509"

// keyUsages are the key usages a person's certificate may have (RFC 5280 4.2.1.3).
func keyUsages() map[string]x509.KeyUsage {
	return map[string]x509.KeyUsage{
		"digitalSignature": x509.KeyUsageDigitalSignature,
		"nonRepudiation":   x509.KeyUsageContentCommitment,
		"keyEncipherment":  x509.KeyUsageKeyEncipherment,
		"keyAgreement":     x509.KeyUsageKeyAgreement,
	}
}

// extendedKeyUsages are the purposes a person's certificate may have (RFC 5280
// 4.2.1.12; the last is Microsoft's, for the sign-in to Windows).
func extendedKeyUsages() map[string]string {
	return map[string]string{
		"clientAuth":      "1.3.6.1.5.5.7.3.2",
		"emailProtection": "1.3.6.1.5.5.7.3.4",
		"smartcardLogon":  "1.3.6.1.4.1.311.20.2.2",
	}
}
