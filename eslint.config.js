import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  {
    ignores: [
      'dist/',
      // A bundle in the making, or one that was interrupted.
      '.dist-*/',
      'node_modules/',
      'examples/',
      'test/apps/',
      'launcher/dist/',
      '**/*.wasm',
      'lifecycle/layers/compression/deflate/assembly/',
    ],
  },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/only-throw-error': 'off', // AbortSignal.reason is rethrown as it is
      'no-control-regex': 'off', // hostile names hold control characters; we look for them
      eqeqeq: 'error',
    },
  },
  {
    // A phase is a function of its arguments: the process belongs to the command line alone.
    files: ['lifecycle/**/*.ts'],
    ignores: ['lifecycle/cli/**'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'Only lifecycle/cli reads the environment; take it as an argument.',
        },
        { object: 'process', property: 'exit', message: 'Only lifecycle/cli ends the process; throw a BaleError.' },
      ],
    },
  },
  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    languageOptions: {
      globals: {
        __dirname: 'readonly',
        process: 'readonly',
        console: 'readonly',
        Buffer: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        fetch: 'readonly',
        AbortSignal: 'readonly',
        AbortController: 'readonly',
      },
    },
  },
  { files: ['**/*.cjs'], languageOptions: { globals: { __filename: 'readonly', __dirname: 'readonly' } } },
)
