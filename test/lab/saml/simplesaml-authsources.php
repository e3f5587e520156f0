<?php
$config = ['default-sp' => [
    'saml:SP', 'entityID' => 'https://simplesaml.localhost/sp', 'idp' => '{{.IDP}}', 'privatekey' => 'ssp.key', 'certificate' => 'ssp.crt',
    'sign.authnrequest' => true, 'redirect.sign' => true, 'redirect.validate' => true, 'assertion.encryption' => true, 'WantAssertionsSigned' => true,
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'NameIDPolicy' => ['Format' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent', 'AllowCreate' => true],
    'ProtocolBinding' => 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST',
    'AuthnRequestBinding' => 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST',
]];
