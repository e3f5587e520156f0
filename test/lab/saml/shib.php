<?php
header('Content-Type: text/plain; charset=utf-8');
$out = [];
foreach (['eppn', 'mail', 'jaDisplayName', 'affiliation', 'pairwise-id', 'persistent-id'] as $name) {
    if (isset($_SERVER[$name])) $out[$name] = explode(';', $_SERVER[$name]);
}
echo json_encode(['name' => $_SERVER['persistent-id'] ?? '', 'class' => $_SERVER['Shib-AuthnContext-Class'] ?? '', 'attributes' => $out], JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
