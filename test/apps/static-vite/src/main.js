import { createApp, h } from 'vue'
import { createRouter, createWebHistory, RouterView } from 'vue-router'

const page = text => ({ render: () => h('p', text) })
const routes = [
  { path: '/', component: page('start') },
  { path: '/cart', component: page('cart') },
]
createApp({ render: () => h(RouterView) }).use(createRouter({ history: createWebHistory(), routes })).mount('#app')
