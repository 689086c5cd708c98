<?php

// A page without a framework: what is there, and how it is set up.
$extensions = array_filter(['curl', 'dom', 'mbstring', 'pdo_sqlite', 'sodium', 'Zend OPcache'], 'extension_loaded');
header('Content-Type: application/json');
echo json_encode([
    'php' => PHP_VERSION,
    'server' => php_sapi_name(),
    'extensions' => array_values($extensions),
    'opcache' => (opcache_get_status(false) ?: [])['opcache_enabled'] ?? false,
    'user' => posix_getuid() !== 0,
    'path' => $_SERVER['PATH_INFO'] ?? '',
    // With the port: redirects and addresses that an application makes need it.
    'host' => $_SERVER['HTTP_HOST'],
    'uri' => $_SERVER['REQUEST_URI'],
]);
