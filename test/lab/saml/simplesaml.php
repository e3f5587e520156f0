<?php
require '/usr/share/simplesamlphp/lib/_autoload.php';
$as = new \SimpleSAML\Auth\Simple('default-sp');
if (isset($_GET['logout'])) $as->logout('https://' . $_SERVER['HTTP_HOST'] . '/bye.html');
$ask = isset($_GET['mfa']) ? ['saml:AuthnContextClassRef' => 'https://refeds.org/profile/mfa'] : [];
if ($as->isAuthenticated() && $ask && $as->getAuthData('saml:sp:AuthnContext') !== 'https://refeds.org/profile/mfa') {
    $as->login($ask + ['ReturnTo' => \SimpleSAML\Utils\HTTP::getSelfURL()]);
}
$as->requireAuth($ask);
header('Content-Type: text/plain; charset=utf-8');
$names = [
    'urn:oid:1.3.6.1.4.1.5923.1.1.1.6' => 'eppn', 'urn:oid:0.9.2342.19200300.100.1.3' => 'mail', 'urn:oid:1.3.6.1.4.1.32264.1.1.3' => 'jaDisplayName',
];
$out = [];
foreach ($as->getAttributes() as $name => $values) $out[$names[$name] ?? $name] = array_map('strval', $values);
echo json_encode(['name' => $as->getAuthData('saml:sp:NameID')->getValue(), 'class' => $as->getAuthData('saml:sp:AuthnContext'), 'attributes' => $out], JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
