<?php
$number = new NumberFormatter('de_DE', NumberFormatter::DECIMAL);
echo PHP_MINOR_VERSION, ' ', $number->format(1234.5), ' ', mb_strtoupper('ä'), ' ', implode(',', PDO::getAvailableDrivers()), ' ', ini_get('memory_limit');
