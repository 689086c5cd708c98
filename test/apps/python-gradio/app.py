import gradio as gr

demo = gr.Interface(fn=lambda name: f"Hello {name}", inputs="text", outputs="text", title="Greeter of Bale")

if __name__ == "__main__":
    demo.launch()
