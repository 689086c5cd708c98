import analog from '@analogjs/platform'
import { defineConfig } from 'vite'

export default defineConfig({
  build: { target: ['es2022'] },
  resolve: { mainFields: ['module'] },
  plugins: [analog()],
})
