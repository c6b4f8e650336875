Two deployments in front of different rules do not disturb each other

ana starts images-next at 10 %, in front of images
wait until images-next is serving
bert starts emr-next at 5 %
wait until emr-next is serving
then users reach production 80 %, baseline 10 %, canary 10 % (images-next)
then users reach production 90 %, baseline 5 %, canary 5 % (emr-next)
then nothing more is to be done (images-next)
ana destroys images-next
wait until images-next is destroyed
then users reach production 100 % (images-next)
then users reach production 90 %, baseline 5 %, canary 5 % (emr-next)
then nothing more is to be done (emr-next)
bert destroys emr-next
wait until emr-next is destroyed

----------------------------------------
     0.0 s  [images-next] Ana started "images-next": canary and baseline are to get 10 % each.
     0.0 s  [images-next] The files are being uploaded.
     0.0 s  [images-next] Arya created the temporary bucket.
     0.0 s  [images-next] Arya created the app security group.
     0.0 s  [images-next] Arya created the monitor security group.
     0.0 s  [images-next] Arya created the baseline target group.
     0.0 s  [images-next] Arya created the canary target group.
     2.0 s  [images-next] Arya began to upload file aaaaaaaaaaaa.
     2.0 s  [images-next] Arya began to upload file bbbbbbbbbbbb.
     2.0 s  [images-next] Arya began to upload file cccccccccccc.
     2.0 s  [images-next] Arya launched the baseline instance.
     2.0 s  [images-next] Arya launched the canary instance.
     2.0 s  [images-next] Arya launched the monitor instance.
    24.0 s  [images-next] The baseline instance is booting (20.0 s after its start).
    24.0 s  [images-next] The canary instance is booting (20.0 s after its start).
    24.0 s  [images-next] The monitor instance is booting (20.0 s after its start).
    32.0 s  [images-next] The files are up; the instances are being made ready.
    36.0 s  [images-next] The baseline instance has its container runtime ready (32.0 s after its start).
    36.0 s  [images-next] The canary instance has its container runtime ready (32.0 s after its start).
    36.0 s  [images-next] The monitor instance has its container runtime ready (32.0 s after its start).
    48.0 s  [images-next] The baseline instance has fetched its files (44.0 s after its start).
    48.0 s  [images-next] The canary instance has fetched its files (44.0 s after its start).
    48.0 s  [images-next] The monitor instance has fetched its files (44.0 s after its start).
    60.0 s  [images-next] The baseline instance has loaded its images (56.0 s after its start).
    60.0 s  [images-next] The canary instance has loaded its images (56.0 s after its start).
    60.0 s  [images-next] The monitor instance has loaded its images (56.0 s after its start).
    72.0 s  [images-next] The baseline instance is up (68.0 s after its start).
    72.0 s  [images-next] The canary instance is up (68.0 s after its start).
    72.0 s  [images-next] The monitor instance is up (68.0 s after its start).
    72.0 s  [images-next] The apps run; no user reaches them yet.
    84.0 s  [images-next] The baseline instance is warmed up and ready (80.0 s after its start).
    84.0 s  [images-next] The canary instance is warmed up and ready (80.0 s after its start).
    84.0 s  [images-next] The monitor instance is warmed up and ready (80.0 s after its start).
    84.0 s  [images-next] Arya registered the baseline instance in the baseline target group.
    84.0 s  [images-next] Arya registered the canary instance in the canary target group.
    86.0 s  [images-next] Arya created the probe rule at priority 18.
    94.0 s  [images-next] Arya began: the canary gets 10 % of matching traffic, the baseline 10 %.
    94.0 s  [images-next] Arya created the main rule at priority 19.
    96.0 s  [images-next] Our main rule stands on the listener: canary and baseline get 10 % each.
    96.0 s  [images-next] Users reach baseline and canary now.
    96.0 s  [emr-next] Bert started "emr-next": canary and baseline are to get 5 % each.
    96.0 s  [emr-next] The files are being uploaded.
    96.0 s  [emr-next] Arya created the temporary bucket.
    96.0 s  [emr-next] Arya created the app security group.
    96.0 s  [emr-next] Arya created the monitor security group.
    96.0 s  [emr-next] Arya created the baseline target group.
    96.0 s  [emr-next] Arya created the canary target group.
    98.0 s  [emr-next] Arya began to upload file aaaaaaaaaaaa.
    98.0 s  [emr-next] Arya began to upload file bbbbbbbbbbbb.
    98.0 s  [emr-next] Arya began to upload file cccccccccccc.
    98.0 s  [emr-next] Arya launched the baseline instance.
    98.0 s  [emr-next] Arya launched the canary instance.
    98.0 s  [emr-next] Arya launched the monitor instance.
   120.0 s  [emr-next] The baseline instance is booting (20.0 s after its start).
   120.0 s  [emr-next] The canary instance is booting (20.0 s after its start).
   120.0 s  [emr-next] The monitor instance is booting (20.0 s after its start).
   128.0 s  [emr-next] The files are up; the instances are being made ready.
   132.0 s  [emr-next] The baseline instance has its container runtime ready (32.0 s after its start).
   132.0 s  [emr-next] The canary instance has its container runtime ready (32.0 s after its start).
   132.0 s  [emr-next] The monitor instance has its container runtime ready (32.0 s after its start).
   144.0 s  [emr-next] The baseline instance has fetched its files (44.0 s after its start).
   144.0 s  [emr-next] The canary instance has fetched its files (44.0 s after its start).
   144.0 s  [emr-next] The monitor instance has fetched its files (44.0 s after its start).
   156.0 s  [emr-next] The baseline instance has loaded its images (56.0 s after its start).
   156.0 s  [emr-next] The canary instance has loaded its images (56.0 s after its start).
   156.0 s  [emr-next] The monitor instance has loaded its images (56.0 s after its start).
   168.0 s  [emr-next] The baseline instance is up (68.0 s after its start).
   168.0 s  [emr-next] The canary instance is up (68.0 s after its start).
   168.0 s  [emr-next] The monitor instance is up (68.0 s after its start).
   168.0 s  [emr-next] The apps run; no user reaches them yet.
   180.0 s  [emr-next] The baseline instance is warmed up and ready (80.0 s after its start).
   180.0 s  [emr-next] The canary instance is warmed up and ready (80.0 s after its start).
   180.0 s  [emr-next] The monitor instance is warmed up and ready (80.0 s after its start).
   180.0 s  [emr-next] Arya registered the baseline instance in the baseline target group.
   180.0 s  [emr-next] Arya registered the canary instance in the canary target group.
   182.0 s  [emr-next] Arya created the probe rule at priority 49999.
   190.0 s  [emr-next] Arya began: the canary gets 5 % of matching traffic, the baseline 5 %.
   190.0 s  [emr-next] Arya created the main rule at priority 50000.
   192.0 s  [emr-next] Our main rule stands on the listener: canary and baseline get 5 % each.
   192.0 s  [emr-next] Users reach baseline and canary now.
   192.0 s  [images-next] Ana asked for everything of ours to be removed.
   192.0 s  [images-next] Everything of ours is being removed.
   192.0 s  [images-next] Arya deleted the main rule.
   192.0 s  [images-next] Arya deleted the probe rule.
   254.0 s  [images-next] Arya took the baseline instance out of the baseline target group.
   254.0 s  [images-next] Arya took the canary instance out of the canary target group.
   254.0 s  [images-next] Arya terminated the monitor instance.
   256.0 s  [images-next] No new requests reach our instances; those they have are being finished.
   258.0 s  [images-next] Arya deleted the baseline target group.
   258.0 s  [images-next] Arya deleted the canary target group.
   258.0 s  [images-next] Arya terminated the baseline instance.
   258.0 s  [images-next] Arya terminated the canary instance.
   304.0 s  [images-next] Arya deleted the app security group.
   304.0 s  [images-next] Arya deleted the monitor security group.
   304.0 s  [images-next] Arya emptied and deleted the temporary bucket.
   336.0 s  [images-next] Production is exactly as before: 0 differences.
   336.0 s  [emr-next] Bert asked for everything of ours to be removed.
   336.0 s  [emr-next] Everything of ours is being removed.
   336.0 s  [emr-next] Arya deleted the main rule.
   336.0 s  [emr-next] Arya deleted the probe rule.
   398.0 s  [emr-next] Arya took the baseline instance out of the baseline target group.
   398.0 s  [emr-next] Arya took the canary instance out of the canary target group.
   398.0 s  [emr-next] Arya terminated the monitor instance.
   400.0 s  [emr-next] No new requests reach our instances; those they have are being finished.
   402.0 s  [emr-next] Arya deleted the baseline target group.
   402.0 s  [emr-next] Arya deleted the canary target group.
   402.0 s  [emr-next] Arya terminated the baseline instance.
   402.0 s  [emr-next] Arya terminated the canary instance.
   448.0 s  [emr-next] Arya deleted the app security group.
   448.0 s  [emr-next] Arya deleted the monitor security group.
   448.0 s  [emr-next] Arya emptied and deleted the temporary bucket.
   480.0 s  [emr-next] Production is exactly as before: 0 differences.
----------------------------------------
images-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
