<?php

require __DIR__ . '/../vendor/autoload.php';

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$made = file_get_contents(__DIR__ . '/../config/made.txt');
echo Acme\Greeting\Greeting::for('wörld'), "; $path costs ", Acme\Shop\Price::of('100'), "; made $made";
