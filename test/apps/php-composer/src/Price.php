<?php

namespace Acme\Shop;

final class Price
{
    public static function of(string $net): string
    {
        return bcmul($net, '1.19', 2);
    }
}
