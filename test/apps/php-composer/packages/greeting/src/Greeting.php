<?php

namespace Acme\Greeting;

final class Greeting
{
    public static function for(string $name): string
    {
        return 'Hello, ' . mb_strtoupper($name);
    }
}
