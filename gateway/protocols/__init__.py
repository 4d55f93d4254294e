"""Parts of protocols that stand beside the decoders, because several share them or one needs much.

Pure, as the decoders in `gateway.devices` are; nothing here knows any of them.
"""
