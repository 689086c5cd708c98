exports.text = () => `3 is odd: ${require("is-odd")(3)}`
