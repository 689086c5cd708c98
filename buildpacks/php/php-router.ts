import type { Scope } from './htaccess.ts'

/**
 * The program that PHP's own server runs for each request. It returns false for what the server serves itself.
 * @param hidden expressions of PCRE for paths that are not served, whatever the case of their letters
 */
export function phpRouter(hidden: readonly string[], scopes: readonly Scope[]): string {
  const rows = scopes.map(({ dir, closedBy, names }) => {
    const rules = names.map(({ expression, grants }) => `[${phpText(expression)}, ${!grants}]`)
    return `    [${phpText(dir)}, ${closedBy !== undefined}, [${rules.join(', ')}]],\n`
  })
  return `<?php
// Expressions have no control characters, so one of them can delimit them.
function fits(string $pattern, string $text, string $flags): int|false {
    return preg_match("\\x01" . $pattern . "\\x01" . $flags, $text);
}
function is_denied(string $path): bool {
    // For a path below a file, the server answers with the file.
    $file = $path;
    for ($end = strpos($path, '/', 1); $end !== false; $end = strpos($path, '/', $end + 1)) {
        if (is_file($_SERVER['DOCUMENT_ROOT'] . substr($path, 0, $end))) {
            $file = substr($path, 0, $end);
            break;
        }
    }
    // For a directory, it answers with its index, with or without a slash at the end.
    if ($file === $path && is_dir($_SERVER['DOCUMENT_ROOT'] . $path)) {
        $file = rtrim($path, '/') . '/';
        foreach (['index.php', 'index.html'] as $index) {
            if (is_file($_SERVER['DOCUMENT_ROOT'] . $file . $index)) {
                $file .= $index;
                break;
            }
        }
    }
    $name = substr($file, strrpos($file, '/') + 1);
    foreach ([
${rows.join('')}    ] as [$dir, $is_closed, $rules]) {
        if (strncmp($file, $dir, strlen($dir)) !== 0) continue;
        if ($name === '' || ($is_closed && substr($name, -4) === '.php')) return $is_closed;
        foreach ($rules as [$pattern, $denies]) {
            $fits = fits($pattern, $name, '');
            if ($fits !== 0) return $denies || $fits === false;
        }
        return $is_closed;
    }
    return false;
}
$target = $_SERVER['REQUEST_URI'];
$target = $target[0] === '/' ? explode('?', $target)[0] : (string) parse_url($target, PHP_URL_PATH);
$path = preg_replace('~/+~', '/', rawurldecode($target));
$is_hidden = is_denied($path);
foreach ([${hidden.map(phpText).join(', ')}] as $pattern) {
    $is_hidden = $is_hidden || fits($pattern, $path, 'i') !== 0;
}
if ($is_hidden) {
    http_response_code(404);
    echo "Not found\\n";
    return true;
}
return false;
`
}

const phpText = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
