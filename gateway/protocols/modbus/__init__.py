"""Modbus, as a bus master of our own: what `modbus` (RTU) and `modbus_tcp` have in common.

    settings --> Station --blocks--> Master --PDU--> Wire --bytes--> line
                 (one device)                 <----        <--bytes-- Framer

A register says where a value stands and what its bits mean; neighbours are read together
(`blocks`); a station is one device with its interval and its standing; the master picks whose turn
it is. All of it is pure: `gateway.polling` does the waiting. Nothing is ever written to a device.
"""
