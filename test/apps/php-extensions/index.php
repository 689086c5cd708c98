<?php

// No composer.json: what the code calls says which extensions there have to be.
$image = imagecreatetruecolor(1, 1);
$picture = new Imagick();
$picture->newImage(2, 2, 'teal');
$picture->setImageFormat('png');
$formatter = new NumberFormatter('de_DE', NumberFormatter::DECIMAL);
$loaded = array_filter(['mysqli', 'pdo_pgsql', 'redis', 'gmp', 'xdebug'], 'extension_loaded');
echo $image::class, ' ', substr($picture->getImageBlob(), 1, 3), ' ', $formatter->format(1234.5), ' ', implode(',', $loaded), ' ', class_exists('Redis') ? new ReflectionClass('Redis')->getName() : '';

function connect(string $host): mysqli
{
    return new mysqli($host);
}

function warehouse(): PDO
{
    return new PDO('pgsql:host=warehouse');
}
