/** @type {import('@docusaurus/types').Config} */
const config = {
  title: 'Manual',
  url: 'https://manual.example',
  baseUrl: '/',
  onBrokenLinks: 'throw',
  i18n: { defaultLocale: 'en', locales: ['en'] },
  presets: [['classic', { docs: { sidebarPath: './sidebars.js' }, blog: false }]],
}

export default config
