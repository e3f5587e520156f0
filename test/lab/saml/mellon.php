<?php
header('Content-Type: text/plain; charset=utf-8');
$names = [
    'urn:oid:1.3.6.1.4.1.5923.1.1.1.6' => 'eppn', 'urn:oid:0.9.2342.19200300.100.1.3' => 'mail', 'urn:oid:1.3.6.1.4.1.32264.1.1.3' => 'jaDisplayName',
];
$out = [];
foreach ($names as $oid => $name) {
    $key = 'MELLON_' . strtr($oid, '.', '_');
    if (isset($_SERVER[$key])) $out[$name] = explode(';', $_SERVER[$key]);
}
echo json_encode(['name' => $_SERVER['MELLON_NAME_ID'] ?? '', 'class' => '', 'attributes' => $out], JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
