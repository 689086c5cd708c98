(defproject shop "1.0.0"
  :dependencies [[org.clojure/clojure "1.12.0"]]
  :main ^:skip-aot shop.main
  :target-path "target/%s"
  :profiles {:uberjar {:aot :all}})
